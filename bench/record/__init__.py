"""What is stored of a campaign, and how it gets to the disk."""
