"""Which famous places a city has: asked of OpenStreetMap, Wikidata or Google Places."""
