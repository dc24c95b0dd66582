"""Words: texts in the language of the page, and how they are shown."""
