"""Finding what moves a face: labelled faces, linear and closed-form directions, and what each does, measured."""
