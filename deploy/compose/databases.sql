-- MLflow has a database of its own beside Fairlead's.
CREATE DATABASE mlflow;
