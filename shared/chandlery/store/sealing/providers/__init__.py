"""Where key-encryption keys are: in the settings, in files, in a key management service, in a hardware module."""
