"""Stored messages as people look for them: filtered, newest first, a page at a time.

No page counts and none waits: a table of millions answers in a fifth of a second, with what
was found so far if need be.

    asking   what an address asks for, and what is wrong with it
    limits   ends a statement when its time is up
    topics   which stored topics a Topic Filter matches, by jumps over the index
    ids      from times to ids; the newest ids of a few topics or connections
    wanted   a filter, looked up, as conditions on messages
    scan     where no index knows: in windows of ids, for a bounded time
    search   puts these together
    rows     what pages show of the messages that were found
    shown    payloads as text, JSON and hex; harmless, whatever they hold
    files    CSV and JSON Lines
    streams  what files and downloads are made of, a piece at a time
"""
