"""The rehearsal: from a commit to prod and back on this machine, with the steps of the pipelines, in the emulated cloud."""
