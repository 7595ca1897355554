"""From published layouts of Kokoro to the one at rest."""
