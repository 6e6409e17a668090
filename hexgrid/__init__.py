"""Where it is: H3 cells, their hierarchy, and the city's cube computed in Spark."""
