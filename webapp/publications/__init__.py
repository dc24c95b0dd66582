"""Messages that operators publish: the form, the bytes, what became of them."""
