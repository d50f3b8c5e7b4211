// Holds the precompiled header for the other targets.
