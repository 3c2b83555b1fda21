-- Which build of the application a run of the gate had. NULL: nobody said, and the run is a build of its own.
ALTER TABLE gate_runs ADD COLUMN build VARCHAR;
