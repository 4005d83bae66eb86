"""What commands show while they run, and at the end."""
