"""What an edit does where this depends on the two values, or on what runs now. One file for each kind of comparison."""
