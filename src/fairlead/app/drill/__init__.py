"""An incident, practised on a scratch copy of the live set-up: `fairlead drill`.

It reads the live store, registry and database as a backup does, and changes none of them; all else happens in a
directory that goes away at the end. Start with `drill.drill`, which does the steps in order.
"""
