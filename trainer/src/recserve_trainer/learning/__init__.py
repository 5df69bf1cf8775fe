"""What the families are made of: towers, closed forms, trees, and how they are trained."""
