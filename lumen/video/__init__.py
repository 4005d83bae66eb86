"""Clips: their frames enhanced, everything else in them kept.

FFmpeg reads and writes clips in a process of its own (`lumen.video.child`), because a damaged or hostile file may crash
it, hang it, or make it take all memory. That process decodes frames, sends them to `lumen.video.clip`, which has them
enhanced, takes them back, encodes them and writes the container with the sound and all other streams.

::

    child: demux -> decode -> RGB ---pipe---> clip: tone -> model ---pipe---> child: encode -> mux
             '------------- packets of all other streams ---------------------------------^
"""
