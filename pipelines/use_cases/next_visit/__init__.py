"""Will the household that has just paid be back at a till within seven days? Asked at each checkout."""
