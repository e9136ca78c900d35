"""The demo: invented Belgian people and organisations, and the ALS story told over HTTP."""
