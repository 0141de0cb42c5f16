"""The jobs that every use case has, one module each: what its tasks call, read, write and wait for."""
