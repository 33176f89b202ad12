"""Data files in verl's schema: lists of them, their rows, the questions in them, and whether a run can use them.

file_lists       what names data files, as a list; files that cannot be read are refused by their names
rows             rows, columns and types of data files, read piece by piece
questions        a stable id and a text for each question; duplicates and conflicts settled
asked_questions  questions with the rows that score their responses
provenance       parquet files that say where they come from
checks           every row read and every answer put to the reward; what is found is in file_report
column_types     whether files can be read as one data set
cleaning         files written again without their wrong rows, with the same types
"""
