"""Training an embedding in which photos of one landmark lie close together, and all else far from them."""
