"""What is taught and said: TOML files, and the code that loads and checks them."""
