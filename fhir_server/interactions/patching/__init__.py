"""Patches: read before they meet a resource, and applied to one."""
