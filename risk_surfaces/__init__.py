"""How risk spreads: edge-corrected kernel densities, in events per km² and year."""
