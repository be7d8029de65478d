// A shared library of object files needs one source of its own to have a language.
