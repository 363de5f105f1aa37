"""What every room may use: errors, typed configuration, files, stores, hashing, devices, pixels."""
