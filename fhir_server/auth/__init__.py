"""Token or sign-in session -> Actor; the issuer of tokens for registered organisations."""
