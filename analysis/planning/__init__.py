"""What a campaign of so many blocks can see."""
