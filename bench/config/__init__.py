"""What a person asks for, as frozen values."""
