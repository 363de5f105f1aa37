"""Shared by all packages: errors, typed configurations, files, disk cache, hashing, devices, pixels."""
