//! What an image, a model or a round is worth.
