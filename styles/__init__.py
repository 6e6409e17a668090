"""How products look: one style model, written as MapLibre, QML, colour tables and legends."""
