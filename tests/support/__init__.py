"""What more than one test module needs. Every folder of tests imports it as ``support``, and so do programs
that support.children starts."""
