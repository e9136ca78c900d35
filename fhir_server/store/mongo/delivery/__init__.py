"""What a delivery worker works on."""
