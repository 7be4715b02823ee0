"""What runs in the guest: one small class and one YAML file each."""
