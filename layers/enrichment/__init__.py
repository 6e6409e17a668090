"""What is added to an incident besides its zones: kind of day, light, weather."""
