"""Where photos of a name are found: providers behind one interface, each built from its documented answers."""
