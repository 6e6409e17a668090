"""How it looks: one style model, written as MapLibre, QML, colour table and legend."""
