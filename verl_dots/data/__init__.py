"""Data files in verl's schema: lists of them, their rows, the questions in them, and whether a run can use them.

file_lists.py       what names data files, as a list; files that cannot be read are refused by their names
rows.py             rows, columns and types of data files, read piece by piece
question.py         a question out of a row, with a stable id
questions.py        the questions of files; duplicates and conflicts settled
asked_questions.py  questions with the rows that score their responses
provenance.py       parquet files that say where they come from
checks.py           every row read and every answer put to the reward; what is found is in file_report.py
prompt_length.py    a prompt's length in tokens
column_types.py     whether files can be read as one data set; columns.py: names that a run has of its own
cleaning.py         files written again without their wrong rows, with the types of common_types.py
"""
