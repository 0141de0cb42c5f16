"""Does a challenger go on, wait, or go back? Which version answers a request, and the decision from stage to stage."""
