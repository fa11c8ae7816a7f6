//! Stories of the program itself.
