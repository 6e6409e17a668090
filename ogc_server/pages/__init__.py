"""Pages for people: the map, complete without JavaScript and better with it."""
