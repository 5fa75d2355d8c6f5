"""The one way in: translate, append, keep what was rejected, issue a receipt."""
