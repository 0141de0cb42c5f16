"""Models: encoding of inputs, fitting, prediction, importance of the inputs."""
