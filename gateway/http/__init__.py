"""HTTP itself: the application, what surrounds each request, bodies, parameters, errors."""
