"""Runs the migrations on the connection that `database.engine.migrate` has opened."""

from alembic import context

from fairlead.database.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
