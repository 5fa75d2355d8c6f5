"""Events made into what people read and receive."""
