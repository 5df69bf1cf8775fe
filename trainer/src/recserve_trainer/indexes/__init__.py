"""How the catalogue is searched inside the SavedModel."""
