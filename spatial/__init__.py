"""What stands out: hot spots and spatial association, with honest p-values."""
