"""The platforms as far as this project meets them: small stateful servers for tests."""
