"""Pictures for chat and the certificate: plain data in, bytes out; only the bundled typeface."""
