"""The documentation site: what MkDocs cannot know by itself. Its hooks are in ``hooks``; ``make docs`` builds it."""
